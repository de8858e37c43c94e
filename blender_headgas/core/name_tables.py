# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other people's shape keys are called, and which of ARKit's shapes they are made of.

A row is (confidence, names, shapes). Names are lower-case words run together, without a side: `core/names.py` brings
a name into that form and takes the side's part of the shapes. A shape is `name`, `name*weight`, `name/L` or `name/R`
(one side), `name/U` or `name/D` (upper or lower lip).

Sources: Apple's ARFaceAnchor.BlendShapeLocation; ICT-FaceKit; Ekman and Friesen's Facial Action Coding System with
the common reading of ARKit in it; the VRM 0.x and 1.0 specifications and VRoid Studio's keys; MPFB2's face units
and visemes; Reallusion's CC3 and CC4 profiles; Oculus' and Microsoft's visemes; MetaHuman's expression controls;
Faceshift; Ready Player Me; VRChat's Unified Expressions. Weights of visemes and emotions are our own estimates.
"""

# ARKit's shapes that others split: into left and right, or into left and right of either lip.
HALVES = ("browInnerUp", "cheekPuff", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper")
QUARTERS = ("mouthFunnel", "mouthPucker", "mouthClose")

Row = tuple[float, str, str]

# One movement, under another name
MOVEMENTS: tuple[Row, ...] = (
    (0.9, "au1 innerbrowraiser innerbrowraise browraiseinner browraisein browinnerraise browsuc", "browInnerUp"),
    (0.9, "au2 outerbrowraiser outerbrowraise browraiseouter browouterraise browsu", "browOuterUp"),
    (0.9, "au4 browlowerer browlower browdrop browsdown browsd", "browDown"),
    (0.7, "browraise browup browsup", "browInnerUp browOuterUp"),
    (0.9, "au5 upperlidraiser upperlidraise eyewiden eyeswide eyeopen", "eyeWide"),
    (0.9, "au6 cheekraiser cheekraise eyecheekraise", "cheekSquint"),
    (0.9, "au7 lidtightener lidtighten eyesquintinner eyessquint", "eyeSquint"),
    (0.9, "au9 nosewrinkler nosewrinkle sneer nosecrease", "noseSneer"),
    (0.9, "au10 upperlipraiser upperlipraise mouthupperlipraise mouthupupper lipsupperup", "mouthUpperUp"),
    (0.9, "au12 lipcornerpuller lipcornerpull mouthcornerpull smile", "mouthSmile"),
    (0.7, "au13 sharplippuller mouthsharpcornerpull mouthsmilesharp mouthcornerup", "mouthSmile"),
    (0.9, "au14 dimpler dimple lipsdimple", "mouthDimple"),
    (0.9, "au15 lipcornerdepressor lipcornerdepress mouthcornerdepress frown mouthsad", "mouthFrown"),
    (0.9, "au16 lowerlipdepressor lowerlipdepress mouthlowerlipdepress mouthdownlower lipslowerdown", "mouthLowerDown"),
    (0.8, "au17 chinraiser chinraise mouthchinup", "mouthShrugLower mouthShrugUpper*0.5"),
    (0.9, "chinraiserb mouthraiserlower chinlowerraise jawchinraised", "mouthShrugLower"),
    (0.9, "chinraisert mouthraiserupper chinupperraise jawchinraiseu", "mouthShrugUpper"),
    (0.9, "au18 lippucker lippuckerer lipspucker pucker mouthlipspurse", "mouthPucker"),
    (0.9, "mouthpuckerup mouthpuckerupper lippuckerupper mouthlipspurseu", "mouthPucker/U"),
    (0.9, "mouthpuckerdown mouthpuckerlower lippuckerlower mouthlipspursed", "mouthPucker/D"),
    (0.9, "au19 tongueshow tongue", "tongueOut"),
    (0.9, "au20 lipstretcher lipstretch lipsstretch", "mouthStretch"),
    (0.9, "au22 lipfunneler lipfunnel lipsfunnel funnel", "mouthFunnel"),
    (0.9, "mouthfunnelup mouthfunnelupper mouthfunnelu lipfunnelupper", "mouthFunnel/U"),
    (0.9, "mouthfunneldown mouthfunnellower mouthfunneld lipfunnellower", "mouthFunnel/D"),
    (0.6, "au23 liptightener mouthtighten mouthtightener", "mouthPress"),
    (0.9, "au24 lippressor lippress mouthlipspress", "mouthPress"),
    (0.5, "au25 lipspart mouthlipsopen vlipopen", "mouthLowerDown*0.4 mouthUpperUp*0.3"),
    (0.9, "au26 jawdrop mouthopen", "jawOpen"),
    (0.7, "au27 mergedopenmouth openmouth openjaw vopen", "jawOpen"),
    (0.9, "au28 lipsuck", "mouthRollLower mouthRollUpper"),
    (0.9, "lipsucklower lipsucklb mouthrollinlower mouthlowerliprollin", "mouthRollLower"),
    (0.9, "lipsuckupper lipsucklt mouthrollinupper mouthupperliprollin", "mouthRollUpper"),
    (0.9, "mouthclosed lipstogether mouthlipstogether au8", "mouthClose"),
    (0.9, "mouthlipstogetheru mouthlipstowardsu", "mouthClose/U"),
    (0.9, "mouthlipstogetherd mouthlipstowardsd", "mouthClose/D"),
    (0.9, "au29 jawthrust jawfwd", "jawForward"),
    (0.9, "au30left jawsidewaysleft", "jawLeft"),
    (0.9, "au30right jawsidewaysright", "jawRight"),
    (0.8, "au33 au34 puff cheekpuffs mouthcheekblow mouthblow cheekblow", "cheekPuff"),
    (0.9, "au43 au45 blink eyesblink eyesclosed eyeclosed eyesclose eyeclose fcleyeclose", "eyeBlink"),
    (0.8, "au46 wink", "eyeBlink"),
    (0.9, "au61 eyesturnleft lookleft eyeslookleft", "eyeLookOut/L eyeLookIn/R"),
    (0.9, "au62 eyesturnright lookright eyeslookright", "eyeLookIn/L eyeLookOut/R"),
    (0.9, "au63 eyesup lookup eyeslookup eyeup", "eyeLookUp"),
    (0.9, "au64 eyesdown lookdown eyeslookdown eyedown", "eyeLookDown"),
    (0.9, "eyein lookin", "eyeLookIn"),
    (0.9, "eyeout lookout", "eyeLookOut"),
    # which way either eye looks: Reallusion's Eye_L_Look_R, MetaHuman's eyeLookRightL
    (0.9, "eyeleftlookleft eyelookleftleft", "eyeLookOut/L"),
    (0.9, "eyeleftlookright eyelookrightleft", "eyeLookIn/L"),
    (0.9, "eyerightlookleft eyelookleftright", "eyeLookIn/R"),
    (0.9, "eyerightlookright eyelookrightright", "eyeLookOut/R"),
)

# Sounds of speech: (its plain names, after "viseme", "v" or alone; full names; shapes)
_VISEMES: tuple[tuple[str, str, str], ...] = (
    ("aa a ah", "aa02 aaahax01 ao03 aw09 ay11 fclmtha", "jawOpen*0.6 mouthLowerDown*0.2 mouthUpperUp*0.1"),
    ("e ee eh", "eyehuh04 er05 fclmthe", "jawOpen*0.3 mouthStretch*0.4 mouthSmile*0.2"),
    ("i ih", "yiyihix06 fclmthi vwide", "jawOpen*0.15 mouthStretch*0.3 mouthSmile*0.3"),
    ("o oh", "ow08 oy10 fclmtho vtighto", "jawOpen*0.4 mouthFunnel*0.7"),
    ("u ou", "wuw07 fclmthu vtight", "jawOpen*0.15 mouthPucker*0.8"),
    ("pp", "pbm21 vexplosive", "mouthPress*0.6 mouthRollLower*0.3 mouthRollUpper*0.3"),
    ("ff", "fv18 vdentallip", "mouthRollLower*0.6 mouthUpperUp*0.2"),
    ("th", "thdh17", "jawOpen*0.15 tongueOut*0.3"),
    ("dd", "dtn19", "jawOpen*0.15 mouthLowerDown*0.2"),
    ("kk", "kgng20 h12", "jawOpen*0.2 mouthLowerDown*0.2"),
    ("ch", "shchjhzh16 vaffricate", "jawOpen*0.1 mouthFunnel*0.6"),
    ("ss", "sz15", "mouthStretch*0.3 mouthLowerDown*0.3"),
    ("nn", "l14", "jawOpen*0.15 mouthUpperUp*0.1"),
    ("rr", "r13", "jawOpen*0.15 mouthPucker*0.4"),
)

_EMOTIONS: tuple[tuple[str, str], ...] = (
    ("joy happy", "mouthSmile*0.8 cheekSquint*0.5"),
    ("fun relaxed", "mouthSmile*0.5 eyeSquint*0.3"),
    ("angry anger", "browDown*0.8 noseSneer*0.3 mouthFrown*0.3"),
    ("sorrow sad sadness", "browInnerUp*0.8 mouthFrown*0.6"),
    ("surprised surprise", "browInnerUp*0.8 browOuterUp*0.8 eyeWide*0.7 jawOpen*0.3"),
)


def rows() -> list[Row]:
    """All rows."""
    table = list(MOVEMENTS)
    for plain, full, shapes in _VISEMES:
        said = [prefix + sound for sound in plain.split() for prefix in ("viseme", "v", "vrcv")]
        table.append((0.6, " ".join([*said, full]), shapes))
        table.append((0.5, plain, shapes))
    for names, shapes in _EMOTIONS:
        table.append((0.5, " ".join([*names.split(), *(f"fclall{name}" for name in names.split())]), shapes))
    return table

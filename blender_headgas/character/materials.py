# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""The character's materials: all read one colour attribute, whose alpha is the roughness."""

import bpy

COLOUR_ATTRIBUTE = "Color"


class _Nodes:
    """Adds nodes to one material and joins them."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(f"HeadGaS {name}")
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.shader = next(node for node in self.tree.nodes if node.type == "BSDF_PRINCIPLED")
        self.colour = self.add("ShaderNodeVertexColor", layer_name=COLOUR_ATTRIBUTE)
        self.link(self.colour.outputs["Alpha"], self.shader.inputs["Roughness"])

    def add(self, kind: str, **settings: object) -> bpy.types.Node:
        node = self.tree.nodes.new(kind)
        for key, value in settings.items():
            setattr(node, key, value)
        return node

    def link(self, output: bpy.types.NodeSocket, target: bpy.types.NodeSocket) -> None:
        self.tree.links.new(output, target)

    def set(self, **values: object) -> None:
        """Inputs of the shader by name, underscores for spaces."""
        for key, value in values.items():
            self.shader.inputs[key.replace("_", " ")].default_value = value

    def noise(self, scale: float, detail: float, vector: bpy.types.NodeSocket | None = None) -> bpy.types.NodeSocket:
        node = self.add("ShaderNodeTexNoise")
        node.inputs["Scale"].default_value = scale
        node.inputs["Detail"].default_value = detail
        if vector is not None:
            self.link(vector, node.inputs["Vector"])
        return node.outputs["Fac"]

    def bump(self, height: bpy.types.NodeSocket, strength: float, distance: float) -> None:
        node = self.add("ShaderNodeBump")
        node.inputs["Strength"].default_value = strength
        node.inputs["Distance"].default_value = distance
        self.link(height, node.inputs["Height"])
        self.link(node.outputs["Normal"], self.shader.inputs["Normal"])

    def varied(self, factor: bpy.types.NodeSocket, dark: float, light: float) -> None:
        """The attribute's colour times a factor between dark and light, into the shader's base colour."""
        spread = self.add("ShaderNodeMapRange")
        spread.inputs["To Min"].default_value, spread.inputs["To Max"].default_value = dark, light
        self.link(factor, spread.inputs["Value"])
        multiply = self.add("ShaderNodeVectorMath", operation="MULTIPLY")
        self.link(self.colour.outputs["Color"], multiply.inputs[0])
        self.link(spread.outputs["Result"], multiply.inputs[1])
        self.link(multiply.outputs["Vector"], self.shader.inputs["Base Color"])


def _object_space(nodes: _Nodes) -> bpy.types.NodeSocket:
    """Rest coordinates, so that textures stay on the skin when shape keys move it."""
    return nodes.add("ShaderNodeUVMap", uv_map="Rest").outputs["UV"]


def _skin() -> bpy.types.Material:
    nodes = _Nodes("Skin")
    nodes.varied(nodes.noise(16.0, 3.0, _object_space(nodes)), 0.90, 1.10)
    nodes.set(Subsurface_Weight=0.28, Subsurface_Radius=(1.0, 0.36, 0.18), Subsurface_Scale=0.006,
              Specular_IOR_Level=0.42)
    return nodes.material


def _hair() -> bpy.types.Material:
    nodes = _Nodes("Hair")
    stretch = nodes.add("ShaderNodeVectorMath", operation="MULTIPLY")
    stretch.inputs[1].default_value = (9.0, 0.9, 1.0)
    nodes.link(nodes.add("ShaderNodeUVMap", uv_map="Strand").outputs["UV"], stretch.inputs[0])
    strands = nodes.noise(1.0, 2.0, stretch.outputs["Vector"])
    nodes.varied(strands, 0.45, 1.6)
    nodes.bump(strands, 0.35, 0.002)
    nodes.set(Specular_IOR_Level=0.45, Sheen_Weight=0.08)
    return nodes.material


def _plain(name: str, **values: object) -> bpy.types.Material:
    nodes = _Nodes(name)
    nodes.link(nodes.colour.outputs["Color"], nodes.shader.inputs["Base Color"])
    nodes.set(**values)
    return nodes.material


def make_materials() -> dict[str, bpy.types.Material]:
    """New materials by the names that parts use."""
    return {
        "Skin": _skin(),
        "Hair": _hair(),
        "Eye": _plain("Eye", Specular_IOR_Level=0.5, Coat_Weight=1.0, Coat_Roughness=0.03),
        "Teeth": _plain("Teeth", Specular_IOR_Level=0.6),
        "Mouth": _plain("Mouth", Specular_IOR_Level=0.6),
        "Cloth": _plain("Cloth", Specular_IOR_Level=0.2, Sheen_Weight=0.3),
    }

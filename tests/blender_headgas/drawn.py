# SPDX-FileCopyrightText: 2026 HeadGaS developers
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for a panel's layout: without a window Blender draws nothing, but what would be drawn can be noted.

It is as strict as Blender where Blender is silent: a property or an operator that does not exist is an error here.
"""

from types import SimpleNamespace
from typing import Any

import bpy


class Layout:
    """Notes labels, properties and operators, and draws the rows of lists as Blender does."""

    def __init__(self, context: Any, root: "Layout | None" = None) -> None:
        self._context = context
        self._root = root or self
        self.labels: list[str] = []
        self.properties: list[tuple[Any, str]] = []
        self.operators: list[tuple[str, dict[str, Any]]] = []
        self.texts: list[str] = []  # of operators that have one of their own
        self.rows: list[str] = []  # what lists show, in their order
        self.factors: list[float] = []  # of progress bars

    def _part(self, **_options: Any) -> "Layout":
        return Layout(self._context, self._root)

    row = column = box = grid_flow = column_flow = _part

    def separator(self, **_options: Any) -> None:
        pass

    def label(self, text: str = "", icon: str = 'NONE', icon_value: int = 0) -> None:
        _check_icon(icon)
        self._root.labels.append(text)

    def panel(self, _name: str, default_closed: bool = False) -> "tuple[Layout, Layout]":
        return self._part(), self._part()

    def progress(self, text: str = "", factor: float = 0.0, type: str = 'BAR') -> None:
        assert 0 <= factor <= 1 and type in ('BAR', 'RING')
        self._root.factors.append(factor)
        self._root.labels.append(text)

    def template_icon(self, icon_value: int, scale: float) -> None:
        assert icon_value > 0 and scale > 0, "an empty picture"
        self._root.icons.append(icon_value)

    def operator_menu_enum(self, name: str, property: str, icon: str = 'NONE') -> Any:
        chosen = self.operator(name, icon=icon)
        assert property in chosen.known, property
        return chosen

    def prop(self, data: Any, name: str, text: str | None = None, icon: str = 'NONE', **_options: Any) -> None:
        _check_icon(icon)
        if name.startswith("["):
            data.path_resolve(name)
        else:
            assert name in data.bl_rna.properties, name
        self._root.properties.append((data, name))

    def prop_search(self, data: Any, name: str, where: Any, found: str) -> None:
        assert found in where.bl_rna.properties, found
        self.prop(data, name)

    def prop_enum(self, data: Any, name: str, value: str) -> None:
        assert value in data.bl_rna.properties[name].enum_items, value
        self._root.properties.append((data, f"{name}={value}"))

    def operator(self, name: str, text: str | None = None, icon: str = 'NONE', emboss: bool = True) -> Any:
        _check_icon(icon)
        known = getattr(bpy.ops.headgas, name.removeprefix("headgas.")).get_rna_type().properties
        chosen = _Options(set(known.keys()))
        self._root.operators.append((name, chosen.chosen))
        self._root.texts.append(text or "")
        return chosen

    def template_list(
        self, kind: str, _id: str, data: Any, name: str, active: Any, active_name: str, rows: int
    ) -> None:
        drawn = getattr(bpy.types, kind)
        stand_in = SimpleNamespace(
            bitflag_filter_item=1 << 30, filter_name="", seen=getattr(drawn, "seen", None),
            alone=getattr(drawn, "alone", None),
        )  # fmt: skip
        flags, places = drawn.filter_items(stand_in, self._context, data, name)
        items = list(getattr(data, name))
        for index in sorted(range(len(items)), key=places.__getitem__ if places else int):
            if flags[index] & stand_in.bitflag_filter_item:
                drawn.draw_item(stand_in, self._context, self, data, items[index], 0, active, active_name, index)
                self._root.rows.append(items[index].name)


class _Options:
    """An operator's properties, which must exist."""

    def __init__(self, known: set[str]) -> None:
        self.__dict__.update(known=known, chosen={})

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in self.known, name
        self.chosen[name] = value


def draw(panel: str) -> Layout:
    """What a panel draws for the active object; raises what it raises."""
    cls, context = getattr(bpy.types, panel), bpy.context
    context = SimpleNamespace(
        object=context.object, scene=context.scene, window_manager=context.window_manager,
        region=SimpleNamespace(width=300), view_layer=context.view_layer,
    )  # fmt: skip
    layout = Layout(context)
    if not hasattr(cls, "poll") or cls.poll(context):
        for function in getattr(cls.draw, "_draw_funcs", [cls.draw]):  # several once somebody could append to the panel
            function(SimpleNamespace(layout=layout), context)
    return layout


def _check_icon(icon: str) -> None:
    icons = bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items
    assert icon in icons, icon

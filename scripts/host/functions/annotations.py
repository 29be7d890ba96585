"""Whether a parameter's annotation fits its binding, as the Azure worker decides it."""

import collections.abc
import types
import typing
from typing import Any, cast

import azure.functions as func
from azure.functions.decorators.core import Binding, BindingDirection, Cardinality


class AnnotationError(TypeError):
    """A parameter's annotation is not of the worker's types; the message names the parameter and what is wrong."""


def check_annotation(parameter: str, annotation: Any, binding: Binding) -> None:
    """Check the annotation of a parameter as the worker does. Raises AnnotationError."""
    is_out = _origin(annotation) is func.Out or annotation is func.Out
    if is_out != (binding.direction == BindingDirection.OUT.value):
        raise AnnotationError(f"parameter {parameter}: azure.functions.Out goes with the direction out, and only there")
    if isinstance(annotation, types.GenericAlias):
        raise AnnotationError(
            f"parameter {parameter}: the worker does not take {annotation!r}; write typing.List, not list"
        )
    if not isinstance(annotation, type) and not _is_generic(annotation):
        raise AnnotationError(f"parameter {parameter}: {annotation!r} is not a type that the worker takes")
    if annotation in (str, bytes):  # any input binding may be taken raw
        return
    converter = func.get_binding_registry().get(binding.type)
    if converter is None:
        raise AnnotationError(f"parameter {parameter}: there is no binding of type {binding.type}")
    if not converter.check_input_type_annotation(annotation):
        raise AnnotationError(f"parameter {parameter}: {annotation!r} does not fit the binding {binding.type}")
    _check_cardinality(parameter, annotation, binding)


def _check_cardinality(parameter: str, annotation: Any, binding: Binding) -> None:
    """The worker finds this out with the first batch only; here it is found while indexing."""
    cardinality = getattr(binding, "cardinality", None)
    if cardinality is None:
        return
    many, is_list = cardinality == Cardinality.MANY, _origin(annotation) in (list, collections.abc.Iterable)
    if many != is_list:
        wanted = "typing.List[...]" if many else "one event"
        raise AnnotationError(f"parameter {parameter}: cardinality {cardinality} needs an annotation of {wanted}")


def _origin(annotation: Any) -> object:
    return typing.get_origin(annotation)


def _is_generic(annotation: Any) -> bool:
    """Say whether a type is `typing.List[X]` or its like; not a union, a tuple, a callable or a class variable."""
    origin = cast("object", typing.get_origin(annotation))
    return origin not in (None, typing.Union, types.UnionType, tuple, typing.ClassVar, collections.abc.Callable)

"""How Python functions are described to models, and called."""

import pickle
from functools import partial
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError
from typing_extensions import TypedDict

from app.ai.exceptions import UserError
from app.ai.function_schema import function_schema
from app.ai.messages import ToolReturn
from app.ai.models.test import TestModel
from app.ai.tools import RunContext
from app.ai.usage import RunUsage

CTX: RunContext[Any] = RunContext(deps=None, model=TestModel(), usage=RunUsage())


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    number: int = 1


def test_parameters_become_an_object_without_titles():
    def book(city: str, nights: int = 2, *, guests: list[str]) -> None: ...

    assert function_schema(book).json_schema == {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "nights": {"type": "integer", "default": 2},
            "guests": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["city", "guests"],
        "additionalProperties": False,
    }


def test_a_function_without_parameters_takes_an_empty_object():
    def now() -> None: ...

    schema = function_schema(now)
    assert schema.json_schema == {"type": "object", "properties": {}, "additionalProperties": False}
    assert schema.validator.validate_json("{}") == {}


@pytest.mark.parametrize(
    "docstring",
    [
        "Book a room.\n\nArgs:\n    city: Where to.\n    nights: How long.",
        "Book a room.\n\nParameters\n----------\ncity : str\n    Where to.\nnights : int\n    How long.",
        "Book a room.\n\n:param city: Where to.\n:param nights: How long.",
    ],
    ids=["google", "numpy", "sphinx"],
)
def test_docstrings_of_every_style_describe_tool_and_parameters(docstring: str):
    def book(city: str, nights: int) -> None: ...

    book.__doc__ = docstring
    schema = function_schema(book)
    assert schema.description == "Book a room."
    assert [schema.json_schema["properties"][name]["description"] for name in ("city", "nights")] == [
        "Where to.",
        "How long.",
    ]


def test_the_return_section_of_a_docstring_is_tagged():
    def price() -> int:
        """Ask for the price.

        Returns:
            int: The price in cents.
        """
        return 1

    assert function_schema(price).description == (
        "<summary>Ask for the price.</summary>\n"
        "<returns>\n<type>int</type>\n<description>The price in cents.</description>\n</returns>"
    )


@pytest.mark.parametrize(
    "docstring",
    ["\nArgs:\n    city: Where to.", "\nParameters\n----------\ncity : str\n    Where to.", ":param city: Where to."],
    ids=["google", "numpy", "sphinx"],
)
def test_a_docstring_may_describe_nothing_but_parameters(docstring: str):
    def book(city: str) -> None: ...

    book.__doc__ = docstring
    schema = function_schema(book)
    assert schema.description == ""
    assert schema.json_schema["properties"]["city"]["description"] == "Where to."


def test_a_description_in_the_annotation_wins_over_the_docstring():
    def book(city: Annotated[str, Field(description="from the annotation")]) -> None:
        """Book.

        Args:
            city: from the docstring
        """

    assert function_schema(book).json_schema["properties"]["city"]["description"] == "from the annotation"


def test_missing_parameter_descriptions_are_refused_when_required():
    def book(city: str, nights: Annotated[int, Field(description="How long.")]) -> None:
        """Book."""

    with pytest.raises(UserError, match="'book' lacks descriptions of city"):
        function_schema(book, require_parameter_descriptions=True)


def test_a_single_model_parameter_is_flattened():
    def move(address: Address) -> None:
        """Move there."""

    schema = function_schema(move)
    assert schema.json_schema["properties"] == {
        "street": {"type": "string"},
        "number": {"type": "integer", "default": 1},
    }
    assert schema.description == "Move there."
    assert schema.validator.validate_json('{"street": "Main"}') == {"address": Address(street="Main")}


def test_a_flattened_model_describes_a_tool_without_docstring():
    def move(address: Address) -> None: ...

    schema = function_schema(move)
    assert schema.description == "Where somebody lives."
    assert "description" not in schema.json_schema


def test_a_typed_dict_parameter_is_flattened_and_an_optional_one_is_not():
    class Options(TypedDict):
        quiet: bool

    def flat(options: Options) -> None: ...
    def nested(options: Options | None = None) -> None: ...

    assert list(function_schema(flat).json_schema["properties"]) == ["quiet"]
    assert list(function_schema(nested).json_schema["properties"]) == ["options"]


async def test_positional_variadic_and_keyword_arguments_reach_the_function():
    def everything(ctx: RunContext, a: int, /, b: str, *rest: int, c: bool = False, **more: float) -> Any:
        return a, b, rest, c, more

    schema = function_schema(everything)
    args = schema.validator.validate_json('{"a": 1, "b": "x", "rest": [2, "3"], "c": true, "z": 1.5}')
    assert await schema.call(args, CTX) == (1, "x", (2, 3), True, {"z": 1.5})
    args = schema.validator.validate_python({"a": 1, "b": "x", "rest": []})
    assert await schema.call(args, CTX) == (1, "x", (), False, {})


def test_untyped_keyword_arguments_accept_anything():
    def anything(**values) -> None: ...

    schema = function_schema(anything)
    assert schema.json_schema["additionalProperties"] is True
    assert schema.validator.validate_python({"a": [1]}) == {"a": [1]}


def test_unknown_arguments_are_refused():
    def book(city: str) -> None: ...

    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        function_schema(book).validator.validate_json('{"city": "x", "town": "y"}')


def test_a_default_that_is_no_json_is_left_out_of_the_schema():
    marker = object()

    def book(city: Any = marker) -> None: ...

    schema = function_schema(book)
    assert schema.json_schema["properties"]["city"] == {}
    assert schema.validator.validate_python({}) == {"city": marker}


async def test_field_defaults_are_passed_to_the_function():
    def book(nights: int = Field(default=3, ge=1)) -> int:
        return nights

    schema = function_schema(book)
    assert schema.json_schema["properties"]["nights"] == {"type": "integer", "default": 3, "minimum": 1}
    assert await schema.call(schema.validator.validate_python({}), CTX) == 3


async def test_bound_methods_and_callable_objects_are_functions_too():
    class Desk:
        def book(self, city: str) -> str:
            return f"booked {city}"

        async def __call__(self, ctx: RunContext, city: str) -> str:
            return f"called {city}"

    method, called = function_schema(Desk().book), function_schema(Desk())
    assert (method.name, called.name) == ("book", "Desk")
    assert await method.call({"city": "Rome"}, CTX) == "booked Rome"
    assert await called.call({"city": "Rome"}, CTX) == "called Rome"


def test_the_context_must_come_first_and_fit_the_way_of_registering():
    def late(city: str, ctx: RunContext) -> None: ...
    def plain(city: str) -> None: ...
    def with_ctx(ctx: Annotated[RunContext[int], "the context"], city: str) -> None: ...

    with pytest.raises(UserError, match="'late' takes RunContext, but not as its first parameter"):
        function_schema(late)
    with pytest.raises(UserError, match="'plain' must have a first parameter annotated as RunContext"):
        function_schema(plain, takes_ctx=True)
    with pytest.raises(UserError, match="'with_ctx' takes RunContext, so register it by `tool`"):
        function_schema(with_ctx, takes_ctx=False)
    assert function_schema(with_ctx).takes_ctx


async def test_a_context_without_annotation_is_fine_where_there_must_be_one():
    def called(ctx, city: str) -> str:
        return f"{ctx.tool_name} {city}"

    schema = function_schema(called, takes_ctx=True)
    assert list(schema.json_schema["properties"]) == ["city"]
    assert await schema.call({"city": "Rome"}, CTX) == "None Rome"


def test_what_no_model_can_send_is_refused_with_the_tool_named():
    class Socket: ...

    def send(socket: Socket) -> None: ...
    def forward(x: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(UserError, match="Tool 'send' cannot be described to a model"):
        function_schema(send)
    with pytest.raises(UserError, match="Tool 'forward' has an annotation that cannot be resolved"):
        function_schema(forward)
    with pytest.raises(UserError, match="has no signature"):
        function_schema(max)


def test_the_return_type_gives_a_schema_if_it_has_one():
    class Socket: ...

    def price() -> Address: ...  # type: ignore[empty-body]
    def connect() -> Socket: ...  # type: ignore[empty-body]

    price_schema = function_schema(price).return_schema
    assert price_schema is not None and price_schema["title"] == "Address"
    assert function_schema(connect).return_schema is None


def test_a_rich_return_gives_the_schema_of_its_value():
    def rich() -> ToolReturn[int]: ...  # type: ignore[empty-body]
    def any_rich() -> ToolReturn: ...  # type: ignore[empty-body]

    assert function_schema(rich).return_schema == {"type": "integer"}
    assert function_schema(any_rich).return_schema is None


def test_recursive_models_keep_an_object_at_the_top():
    schema = function_schema(grow).json_schema
    assert schema["type"] == "object"
    assert schema["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}


class Tree(BaseModel):
    children: list["Tree"] = []


def grow(tree: Tree) -> None: ...


class Place(BaseModel):
    name: str


def travel(ctx: RunContext[str], start: Place, *stops: int, slow: bool = False) -> str:
    return f"{start.name} {stops} {slow}"


async def test_a_schema_can_be_pickled() -> None:
    schema = pickle.loads(pickle.dumps(function_schema(travel)))
    args = schema.validator.validate_python({"start": {"name": "Oslo"}, "stops": ["1", 2]})
    assert await schema.call(args, CTX) == "Oslo (1, 2) False"


def test_a_partial_is_described_by_its_function() -> None:
    def scale(factor: int, value: int) -> int:
        """Make it larger."""
        return factor * value

    schema = function_schema(partial(scale, 2))
    assert (schema.name, schema.description) == ("scale", "Make it larger.")
    assert schema.json_schema["required"] == ["value"]

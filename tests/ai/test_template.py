"""Texts with places for dependencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from app.ai.exceptions import UserError
from app.ai.template import TemplateStr


@dataclass
class Owner:
    email: str


@dataclass
class Shop:
    name: str
    owner: Owner
    open: bool = True
    tags: tuple[str, ...] = ()
    note: str | None = None


class Customer(BaseModel):
    name: str


SHOP = Shop("Blue", Owner("ann@example.org"), tags=("tea", "cake"))


@pytest.mark.parametrize(
    ("source", "rendered"),
    [
        ("no braces", "no braces"),
        ("{{name}} of {{ owner.email }}", "Blue of ann@example.org"),
        ("[{{note}}] {{open}}", "[] true"),
        ("{{#if open}}yes{{else}}no{{/if}}", "yes"),
        ("{{#if note}}yes{{else}}no{{/if}}", "no"),
        ("{{#unless note}}nothing{{/unless}}", "nothing"),
        ("{{#each tags}}{{this}}, {{name}}; {{/each}}", "tea, Blue; cake, Blue; "),
        ("{{#if open}}{{#each tags}}<{{this}}>{{/each}}{{/if}}", "<tea><cake>"),
        ("{{#each tags}}{{@index}}{{#if @last}}.{{else}}{{this}},{{/if}}{{/each}}", "0tea,1."),
        ("{{#with owner}}{{email}} {{../name}}{{/with}}{{! not said }}", "ann@example.org Blue"),
        ("{{{name}}}", "Blue"),
        ("{{tags.1}} {{tags.[0]}} {{lookup tags 1}} {{tags.length}} {{./name}}", "cake tea cake 2 Blue"),
        ("{{#if note}}note{{else if open}}open{{else}}shut{{/if}}", "open"),
        ("{{#if note}}note{{else unless open}}shut{{else}}open{{/if}}!", "open!"),
        ("{{#if note}}note{{^}}none{{/if}}", "none"),
        ("{{#each tags}}{{lookup ../tags @index}}{{#if @first}}, {{/if}}{{/each}}", "tea, cake"),
        ("{{#with owner}}{{@root.name}}{{/with}}", "Blue"),
        ("{{#each tags}}{{..}}{{/each}}", f"{SHOP}{SHOP}"),
        (r"\{{name}} is {{name}}", "{{name}} is Blue"),
        ("  {{~name~}}  !", "Blue!"),
        ("{{!-- with }} inside --}}x", "x"),
        ("Tags:\n{{#each tags}}\n- {{this}}\n{{/each}}\nEnd", "Tags:\n- tea\n- cake\nEnd"),
        ("A\n  {{! alone }}  \n{{#if note}}\nn\n{{else}}\nnone\n{{/if}}", "A\nnone\n"),
    ],
)
def test_a_template_takes_its_values_from_the_dependencies(source: str, rendered: str) -> None:
    assert TemplateStr[Shop](source, deps_type=Shop).render(SHOP) == rendered


def test_what_is_missing_is_empty() -> None:
    assert TemplateStr[Any]("[{{owner.nothing}}{{owner.email.missing}}{{tags.7}}]").render(SHOP) == "[]"


def test_mappings_are_dependencies_too() -> None:
    assert TemplateStr[Any]("{{#each items}}{{id}}{{/each}}").render({"items": [{"id": 1}, {"id": 2}]}) == "12"


def test_private_attributes_are_not_shown() -> None:
    assert TemplateStr[Any]("{{name.__class__}}").render(SHOP) == ""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{nmae}}", "uses 'nmae'.*fields: name, note, open, owner, tags"),
        ("{{#if shut}}{{/if}}", "uses 'shut'"),
        ("{{#if open}}{{shut}}{{/if}}", "uses 'shut'"),
        ("{{#each tags}}{{name}}{{else}}{{shut}}{{/each}}", "uses 'shut'"),
        ("{{#each tags}}{{shut}}{{/each}}", "uses 'shut'"),
        ("{{#if note}}{{else if shut}}{{/if}}", "uses 'shut'"),
        ("{{lookup tags shut}}", "uses 'shut'"),
        ("{{#if open}}", "does not close 'if'"),
        ("{{/if}}", "closes 'if', which is not open"),
        ("{{#if open}}{{/each}}", "closes 'each', which is not open"),
        ("{{else}}", "`else` outside a block"),
        ("{{#repeat owner}}{{/repeat}}", "a block 'repeat'; there are if, unless, each, with"),
        ("{{name name}}", "'name name' where the name of a field belongs"),
        ("{{}}", "'' where the name of a field belongs"),
    ],
)
def test_a_template_that_does_not_fit_is_refused_when_it_is_defined(source: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TemplateStr[Shop](source, deps_type=Shop)


def test_fields_of_models_and_schemas_are_known() -> None:
    assert TemplateStr[Customer]("{{name}}", deps_type=Customer).render(Customer(name="Bo")) == "Bo"
    with pytest.raises(UserError, match="fields: name"):
        TemplateStr("{{age}}", deps_type=Customer)
    with pytest.raises(UserError, match="fields: name"):
        TemplateStr("{{age}}", deps_schema={"type": "object", "properties": {"name": {"type": "string"}}})


@pytest.mark.parametrize(
    "source",
    [
        "{{sub.no}}",
        "{{#with sub}}{{no}}{{/with}}",
        "{{#each subs}}{{no}}{{/each}}",
        "{{#each by_name}}{{no}}{{/each}}",
        "{{maybe.no}}",
        "{{either.no}}",
        "{{sub.name.no}}",
    ],
)
def test_fields_inside_fields_are_checked_too(source: str) -> None:
    class Deps(BaseModel):
        sub: Customer
        subs: list[Customer]
        by_name: dict[str, Customer]
        maybe: Customer | None
        either: Customer | int
        free: Any

    known = source.replace("name.no", "no").replace("no", "name").replace(".name.name", ".name")
    ways: list[dict[str, Any]] = [{"deps_type": Deps}, {"deps_schema": Deps.model_json_schema()}]
    for about in ways:
        with pytest.raises(UserError, match=r"uses '.*no', which the dependencies do not have"):
            TemplateStr(source, **about)
        TemplateStr(known + "{{free.anything}}{{subs.0.name}}{{#each by_name}}{{@key}}{{/each}}", **about)


def test_templates_with_the_same_source_are_equal() -> None:
    assert TemplateStr("{{a}}") == TemplateStr("{{a}}") != TemplateStr("{{b}}")
    assert len({TemplateStr("{{a}}"), TemplateStr("{{a}}")}) == 1
    assert str(TemplateStr("{{a}}")) == "{{a}}"


def test_templates_are_fields_of_pydantic_models() -> None:
    class Note(BaseModel):
        text: TemplateStr[Any] | str

    assert isinstance(Note.model_validate({"text": "{{name}}"}).text, TemplateStr)
    assert Note(text="plain").text == "plain"
    assert Note(text=TemplateStr("{{name}}")).model_dump(mode="json") == {"text": "{{name}}"}
    with pytest.raises(ValidationError, match="uses 'nobody'"):
        TypeAdapter(TemplateStr[Any]).validate_python("{{nobody}}", context={"deps_type": Shop})

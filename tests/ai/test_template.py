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
        ("{{owner.nothing}}{{owner.email.missing}}", ""),
        ("{{#each tags}}{{@index}}{{#if @last}}.{{else}}{{this}},{{/if}}{{/each}}", "0tea,1."),
        ("{{#with owner}}{{email}} {{../name}}{{/with}}{{! not said }}", "ann@example.org Blue"),
        ("{{{name}}}", "Blue"),
    ],
)
def test_a_template_takes_its_values_from_the_dependencies(source: str, rendered: str) -> None:
    assert TemplateStr[Shop](source, deps_type=Shop).render(SHOP) == rendered


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
        ("{{#each tags}}{{free}}{{else}}{{shut}}{{/each}}", "uses 'shut'"),
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

"""The plan of a translation, as the coder hands it in: modules, state, draws, comparators."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from ..verify.suite import Compare
from . import schema


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan that is whole. modules: by name, in the order in which they run and are translated;
    the entries are those of schemas/plan.json."""

    modules: Mapping[str, Mapping[str, Any]]
    state: Sequence[Mapping[str, Any]]
    draw_sites: Sequence[Mapping[str, Any]]
    comparators: Mapping[str, Compare]
    scenarios: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ValueError, in one line, for what is not JSON or no plan; OSError."""
        try:
            value = json.loads(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path} is not JSON: {error}") from None
        return cls.parse(value, str(path))

    @classmethod
    def parse(cls, value: Any, place: str) -> Self:
        """A plan out of its JSON.

        Raises ValueError, which begins with `place`, unless it fits the schema, each name is given
        once, every module depends on earlier ones only, every field of the state is written by one
        module and has one comparator, and every draw site and scenario belongs to known modules.
        """
        schema.check("plan", value, place)
        modules = [module["name"] for module in value["modules"]]
        fields = [field["name"] for field in value["state"]]
        _once(modules, "module", place)
        _once(fields, "state field", place)
        _once([site["name"] for site in value["draw_sites"]], "draw site", place)
        _once([entry["field"] for entry in value["comparators"]], "comparator of", place)
        _once([scenario["name"] for scenario in value["scenarios"]], "scenario", place)
        written = [field for module in value["modules"] for field in module["writes"]]
        _once(written, "writer of", place)
        _same(written, fields, "state fields and what the modules write", place)
        _same(
            [entry["field"] for entry in value["comparators"]],
            fields,
            "state fields and comparators",
            place,
        )
        for number, module in enumerate(value["modules"]):
            if late := set(module["depends_on"]) - set(modules[:number]):
                raise ValueError(
                    f"{place}: module {module['name']} depends on {sorted(late)[0]}, which does "
                    "not come before it; put modules in the order in which they run"
                )
        for title in ("draw_sites", "scenarios"):
            for entry in value[title]:
                named = entry.get("modules", [entry.get("module")])
                if unknown := set(named) - set(modules):
                    raise ValueError(
                        f"{place}: {title}: {entry['name']} names {sorted(unknown)[0]}, which is "
                        "no module"
                    )
        return cls(
            modules={module["name"]: module for module in value["modules"]},
            state=value["state"],
            draw_sites=value["draw_sites"],
            comparators={
                entry["field"]: Compare(
                    entry["compare"],
                    **{key: entry[key] for key in ("ulp", "atol", "rtol", "why") if key in entry},
                )
                for entry in value["comparators"]
            },
            scenarios=value["scenarios"],
        )

    def check_demands(self, demanded: Mapping[str, Compare], place: str) -> None:
        """Raises ValueError where a field is compared otherwise than the user demands; reasons may
        be put in other words."""
        for name, compare in demanded.items():
            planned = self.comparators.get(name)
            if planned is None or dataclasses.replace(planned, why=compare.why) != compare:
                raise ValueError(
                    f"{place}: comparator of {name} is not the one that simlift.toml demands: "
                    f"{compare.kind}"
                )


def _once(names: Iterable[str], what: str, place: str) -> None:
    if again := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{place}: {what} {again[0]} is given more than once")


def _same(one: Iterable[str], other: Iterable[str], what: str, place: str) -> None:
    if lonely := sorted(set(one) ^ set(other)):
        raise ValueError(f"{place}: {what} have to be the same; only one of them has {lonely[0]}")

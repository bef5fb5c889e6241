"""An environment whose faults can be chosen by number, while the program runs.

`instrument` imports a suite and its environment afresh, the modules in `Suite.targets` rewritten.
The modules that everybody else imports stay as they are.
"""

import ast
import contextlib
import functools
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import FunctionType, ModuleType
from typing import Any

from jax import Array

from ...envs.core import Environment
from ..suite import SuiteError, Variant
from ..suites import get_suite
from . import contract, runtime
from .names import Scope, identifiers
from .operators import HELPERS
from .rewrite import Mutant, rewrite


class Instrumented:
    """A suite over rewritten modules. mutants: numbered from 1 on; 0 is the original."""

    def __init__(self, name: str, modules: "_Modules", mutants: Sequence[Mutant]) -> None:
        self._modules = modules
        self._contract_from = len(mutants) + 1
        with modules.installed():
            self.suite = get_suite(name)
            env, _ = self.suite.environment(self.suite.variants[0])
            self.suite.properties()
            self.suite.parts()
        self.mutants = (*mutants, *contract.mutants(env, self._contract_from))

    def mutant(self, number: int) -> Mutant:
        return self.mutants[number - 1]

    @contextlib.contextmanager
    def active(self, what: int | Array | runtime.Active) -> Iterator[None]:
        """Inside, the suite's modules are this mutant; a traced int32 [] chooses among all."""
        state = what if isinstance(what, runtime.Active) else runtime.Active(what)
        with self._modules.installed(), runtime.active(state):
            yield

    def environment(self, variant: Variant, number: int = 0) -> tuple[Environment, Any]:
        """(environment, params) of one mutant, which it stays wherever it is called from."""
        with self.active(number):
            env, params = self.suite.environment(variant)
        return contract.fixed(self.bound(env), lambda: self.active(number)), params

    def bound(self, env: Environment) -> Environment:
        """The environment with the mutants of the contract, e.g. of the auto-reset, in place."""
        return contract.mutated(env, self._contract_from)


def instrument(name: str, targets: Sequence[str] | None = None) -> Instrumented:
    """The suite of that name (`get_suite`), over the modules of its `targets`, each rewritten.

    targets: fewer modules than the suite names. Raises SuiteError when there are none.
    """
    original = get_suite(name)
    if not (names := original.targets if targets is None else targets):
        raise SuiteError(f"{original.name}: nothing to mutate; name modules in Suite.targets")
    modules = {target: importlib.import_module(target) for target in names}
    original.environment(original.variants[0])
    original.properties()
    original.parts()
    trees, mutants = _rewritten(modules)
    stale = _dependents({*modules, original.environment.__module__})
    return Instrumented(name, _Modules(_Finder(trees, modules), stale), mutants)


def _rewritten(modules: Mapping[str, ModuleType]) -> tuple[dict[str, ast.Module], list[Mutant]]:
    trees = {name: ast.parse(_source(module)) for name, module in modules.items()}
    vocabulary = functools.reduce(frozenset.union, map(identifiers, trees.values()))
    mutants: list[Mutant] = []
    for name, tree in trees.items():
        package = name.rpartition(".")[0] or name
        scope = Scope(modules[name], package, vocabulary)
        trees[name], found = rewrite(tree, name, scope, len(mutants) + 1)
        mutants += found
    return trees, mutants


def _source(module: ModuleType) -> str:
    if module.__file__ is None:
        raise SuiteError(f"{module.__name__} has no source file to mutate; leave it out of targets")
    with open(module.__file__, encoding="utf-8") as file:
        return file.read()


# -- importing anew


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, tree: ast.Module) -> None:
        super().__init__(name, path)
        self.tree = tree

    def get_code(self, fullname: str) -> Any:  # never from a cache on disk
        return compile(self.tree, self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)[HELPERS] = runtime
        super().exec_module(module)


class _Finder(MetaPathFinder):
    def __init__(self, trees: Mapping[str, ast.Module], modules: Mapping[str, ModuleType]) -> None:
        self.trees, self.modules = trees, modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in self.trees:
            return None
        module = self.modules[name]
        loader = _Loader(name, str(module.__file__), self.trees[name])
        search = getattr(module, "__path__", None)
        return importlib.util.spec_from_file_location(
            name,
            module.__file__,
            loader=loader,
            submodule_search_locations=None if search is None else list(search),
        )


class _Modules:
    """The rewritten modules and all that is built on them, kept beside those of everybody else."""

    def __init__(self, finder: _Finder, names: set[str]) -> None:
        self.finder, self.names = finder, names
        self.fresh: dict[str, ModuleType] = {}
        self.depth = 0

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Inside, an import finds these modules; suites import their translation when called."""
        self.depth += 1
        if self.depth > 1:
            try:
                yield
            finally:
                self.depth -= 1
            return
        everybodys = self._exchanged(self.fresh)
        sys.meta_path.insert(0, self.finder)
        try:
            yield
        finally:
            sys.meta_path.remove(self.finder)
            self.fresh = self._exchanged(everybodys)
            self.depth -= 1

    def _exchanged(self, new: Mapping[str, ModuleType]) -> dict[str, ModuleType]:
        """Put `new` in the place of all modules of these names, which are returned."""
        old = {name: sys.modules.pop(name) for name in self.names if name in sys.modules}
        for modules, change in ((old, _detach), (new, _attach)):
            for name, module in modules.items():
                package, _, last = name.rpartition(".")
                parent = modules.get(package) or sys.modules.get(package)
                if parent is not None:
                    change(parent, last, module)
        sys.modules.update(new)
        return old


def _detach(package: ModuleType, name: str, module: ModuleType) -> None:
    if vars(package).get(name) is module and package.__name__ in sys.modules:
        delattr(package, name)


def _attach(package: ModuleType, name: str, module: ModuleType) -> None:
    setattr(package, name, module)


def _dependents(targets: set[str]) -> set[str]:
    """The targets, and every module that holds a module, class or function of one of these."""
    stale = {name for name in targets if name in sys.modules}
    before = 0
    while len(stale) > before:
        before = len(stale)
        for name, module in list(sys.modules.items()):
            if name not in stale and name != "__main__" and isinstance(module, ModuleType):
                homes = {_home(value, name) for value in list(vars(module).values())}
                if not homes.isdisjoint(stale):
                    stale.add(name)
    return stale


def _home(value: Any, holder: str) -> str | None:
    """The module that a value comes from; a package's own submodules do not count."""
    if type(value) is ModuleType:
        name = value.__name__
        return None if name.startswith(holder + ".") else name
    if isinstance(value, type | FunctionType):
        return value.__module__
    return None

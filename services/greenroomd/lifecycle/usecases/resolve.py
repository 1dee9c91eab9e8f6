"""Resolve: which version, and which bytes, a selector names now."""

from __future__ import annotations

from dataclasses import dataclass, replace

from greenroomd.lifecycle.domain import VersionFacts, last_segment
from greenroomd.lifecycle.errors import SelectorMalformed, SelectorUnresolved
from greenroomd.lifecycle.ports import Catalog, LifecycleStore
from greenroomd.lifecycle.selectors import ByDigest, ByLatest, ByName, ByNumber, BySemver, Selector, parse
from greenroomd.lifecycle.standings import Named, Resolution
from greenroomd.platform.errors import InvalidArgument, NotFound
from greenroomd.platform.service import Redirects


@dataclass(frozen=True, slots=True)
class Resolver:
    store: LifecycleStore
    catalog: Catalog
    redirects: Redirects

    async def resolve(self, text: str) -> Resolution:
        """Stages and aliases are answered from here alone, also while the catalog is away; the rest asks it."""
        selector = parse(text)
        try:
            return await self._resolve(selector)
        except NotFound:
            # A selector is no resource name, so the chain cannot put the name of now into it.
            current = await self.redirects.current_names([selector.model])
            if not current:
                raise
        return await self._resolve(replace(selector, model=current[selector.model]))

    async def _resolve(self, selector: Selector) -> Resolution:
        if isinstance(selector.by, ByName):
            return await self._by_name(selector, selector.by.name)
        facts = await self._from_catalog(selector)
        async with self.store.read() as reader:
            standing = await reader.standing(facts.name)
        return Resolution(selector.text, facts.name, facts.artifact_digest, standing.stage, standing.revision)

    async def _by_name(self, selector: Selector, name: str) -> Resolution:
        async with self.store.read() as reader:
            named = await reader.named(selector.model, name)
            is_stage = name in named.graph.ids
            pointed = named.holder if is_stage else named.alias
            if pointed is None and not is_stage:
                aliases = [last_segment(alias.name) for alias in await reader.aliases(selector.model)]
                raise SelectorUnresolved(selector.text, _unknown(selector.model, name, named, aliases))
        if pointed is None:
            raise SelectorUnresolved(selector.text, _empty(selector.model, name, named))
        stage = pointed.stage or named.graph.first
        return Resolution(selector.text, pointed.version, pointed.artifact_digest, stage, named.revision)

    async def _from_catalog(self, selector: Selector) -> VersionFacts:
        match selector.by:
            case ByNumber(number):
                return await self.catalog.by_number(selector.model, number)
            case ByDigest(digest):
                return await self.catalog.by_digest(selector.model, digest)
            case BySemver(range, position):
                try:
                    return await self.catalog.by_semver(selector.model, range)
                except InvalidArgument as error:
                    problem = error.violations[0].message if error.violations else error.message
                    raise SelectorMalformed(selector.text, position, problem) from None
            case ByLatest():
                return await self.catalog.latest(selector.model)
            case ByName():
                raise AssertionError("names are not asked of the catalog")


def _unknown(model: str, name: str, named: Named, aliases: list[str]) -> str:
    known = f"its aliases are {', '.join(aliases)}" if aliases else "it has no aliases"
    return f"{model} has no stage or alias {name!r}; its stages are {', '.join(named.graph.ids)}, and {known}"


def _empty(model: str, stage: str, named: Named) -> str:
    if stage == named.graph.first:
        return (
            f"no version of {model} was moved to {stage}; those that were never moved are there without being named by"
            " it, so use a number or @latest"
        )
    return f"no version of {model} is in {stage}; promote one"

"""Lets a principal call what it holds the permission for, and nothing else."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from greenroomd.platform.context import Call, Principal
from greenroomd.platform.errors import PermissionDenied
from greenroomd.platform.identity import roles_with
from greenroomd.platform.interceptors.link import Context, Proceed, Wiring
from greenroomd.platform.interceptors.methods import Method


class Authorisation:
    """Asks for the one permission that the RPC's proto names."""

    name: ClassVar[str] = "authorisation"

    def __init__(self, permission: str) -> None:
        self._permission = permission
        self._decided: dict[tuple[str, ...], bool] = {}
        """Decisions by grants. Grants come from roles, so there are as many entries as combinations of roles in use."""

    @classmethod
    def of(cls, method: Method, wiring: Wiring) -> Self:
        return cls(method.permission)

    async def __call__(self, call: Call, request: Any, context: Context, proceed: Proceed) -> Any:
        principal = call.principal
        if principal is None or not self._allows(principal):
            caller = principal.id if principal is not None else "nobody"
            roles = roles_with(self._permission)
            include = f"the role {roles[0]} includes" if len(roles) == 1 else f"the roles {', '.join(roles)} include"
            raise PermissionDenied(
                "PERMISSION_MISSING",
                f"{caller} does not hold {self._permission}; {include} it, and an administrator of this installation"
                " can grant it",
                permission=self._permission,
                principal=caller,
            )
        return await proceed(call, request, context)

    def _allows(self, principal: Principal) -> bool:
        decided = self._decided.get(principal.grants)
        if decided is None:
            decided = self._decided[principal.grants] = principal.holds(self._permission)
        return decided

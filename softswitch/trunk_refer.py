"""How a trunk is asked to carry out a transfer itself: what REFER says (RFC 3515, RFC 3892), by what was set."""

from __future__ import annotations

import msgspec

from sip.uri import Uri, escape_user
from softswitch.dialplan.patterns import REFER_TO_VARIABLES, REFERRED_BY_VARIABLES, Template


class ReferRequest(msgspec.Struct, frozen=True):
    """What to ask, and for how long to wait until it is done, in seconds."""

    refer_to: str
    referred_by: str
    """"" for none; "{host}" in it stands for our own address, which is another one towards each peer."""
    timeout: float


class ReferRule(msgspec.Struct, frozen=True):
    """What is set for a trunk: templates that the settings have checked."""

    refer_to: str
    referred_by: str
    timeout: float

    def request(self, number: str, gateway: Uri, extension: str) -> ReferRequest:
        """To ask for `number`, as the gateway would be called for it, on behalf of an extension."""
        host = f"[{gateway.host}]" if ":" in gateway.host else gateway.host
        if gateway.port is not None:
            host += f":{gateway.port}"
        target = Template(self.refer_to, REFER_TO_VARIABLES).expand({"number": escape_user(number), "host": host})
        by = Template(self.referred_by, REFERRED_BY_VARIABLES).expand(
            {"extension": escape_user(extension), "host": "{host}"}
        )
        return ReferRequest(f"<{target}>", by, self.timeout)

"""Composing: recipient to wire bytes, compiled once per campaign.

`campaign` reads a campaign file into a `spec`; `composer` compiles the spec, and then makes one
recipient's message from its merge values. `template` compiles the templates, by `codegen` and
`expressions`; `functions` and `meter` are all they may call; `text` derives a text from HTML. `row`
and `values` clean what is put in; `headers`, `encoding` and `mime` make sure that it stays in its
place. `links` makes what leads back to us; `css`, `preheader` and `attachments` prepare what a
campaign file asks for. Files are read by `folder` alone, and keys for `links`; nothing knows of
SMTP but its rules for lines and dots.
"""

from campaignd.compose.campaign import load_campaign
from campaignd.compose.composer import Composed, Composer
from campaignd.compose.headers import date_header
from campaignd.compose.spec import CampaignSpec, decode_spec, encode_spec

__all__ = [
    "CampaignSpec",
    "Composed",
    "Composer",
    "date_header",
    "decode_spec",
    "encode_spec",
    "load_campaign",
]

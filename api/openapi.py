"""The settings of the OpenAPI schema and its Swagger page (drf-spectacular)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Commonplace",
    "DESCRIPTION": (HERE / "api.md").read_text(encoding="utf-8"),
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": r"/api/v[0-9]+",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "COMPONENT_SPLIT_REQUEST": True,
    # In the order of the page.
    "TAGS": [
        {"name": "auth", "description": "Accounts, and the tokens that all other requests need."},
        {"name": "users", "description": "Profiles, followers, and following."},
        {"name": "cards", "description": "Saved pages, notes and references: your library."},
        {"name": "collections", "description": "Cards gathered under a name."},
        {"name": "feeds", "description": "Other people's cards, newest first."},
        {"name": "notifications", "description": "Events that concern you."},
        {"name": "stream", "description": "Notifications, feed, imports and cards, live."},
        {"name": "imports", "description": "Files and addresses whose rows become cards."},
        {"name": "subscriptions", "description": "Web feeds whose entries become cards."},
        {"name": "exports", "description": "Your library as a file."},
    ],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "api.schema.with_examples",
    ],
    # Keep the token of the Authorize form when the page is reloaded.
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": True, "tryItOutEnabled": True},
    "ENUM_NAME_OVERRIDES": {
        "CardType": "cards.models.Card.Type",
        "VisibilityEnum": "accounts.models.Visibility",
        "ImportedItemType": ["URL", "NOTE", "REFERENCE", "SUBSCRIPTION"],
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

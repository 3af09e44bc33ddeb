from __future__ import annotations

from django.urls import include, path

from tests.faults.views import probe

handler400 = "api.problems.bad_request"
handler403 = "api.problems.permission_denied"
handler404 = "api.problems.not_found"
handler500 = "api.problems.server_error"

urlpatterns = [path("probe/", probe), path("", include("config.urls"))]

from __future__ import annotations

from django.urls import include, path

from tests.faults.views import probe

handler400 = "config.problems.bad_request"
handler403 = "config.problems.permission_denied"
handler404 = "config.problems.not_found"
handler500 = "config.problems.server_error"

urlpatterns = [path("probe/", probe), path("", include("config.urls"))]

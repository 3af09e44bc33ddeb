from __future__ import annotations

from django.urls import path

from exports import views

urlpatterns = [path("exports/", views.Exports.as_view(), name="exports")]

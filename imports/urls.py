from __future__ import annotations

from django.urls import path

from imports import views
from imports.subscriptions import views as subscription_views

urlpatterns = [
    path("imports/", views.Imports.as_view(), name="imports"),
    path("imports/files/", views.ImportedFiles.as_view(), name="import-files"),
    path("imports/usage/", views.QuotaUsage.as_view(), name="import-usage"),
    path("imports/<uuid:import_id>/", views.ImportDetail.as_view(), name="import"),
    path("imports/<uuid:import_id>/rows/", views.Rows.as_view(), name="import-rows"),
    path("imports/<uuid:import_id>/errors.csv", views.ErrorsFile.as_view(), name="import-errors"),
    path("imports/<uuid:import_id>/cancel/", views.CancelImport.as_view(), name="import-cancel"),
    path("imports/<uuid:import_id>/resume/", views.ResumeImport.as_view(), name="import-resume"),
    path("subscriptions/", subscription_views.Subscriptions.as_view(), name="subscriptions"),
    path(
        "subscriptions/<uuid:subscription_id>/",
        subscription_views.SubscriptionDetail.as_view(),
        name="subscription",
    ),
]

from __future__ import annotations

from django.urls import path

from cards import collection_views, history_views, views

urlpatterns = [
    path("cards/", views.Library.as_view(), name="library"),
    path("cards/bulk/", views.BulkAdd.as_view(), name="cards-bulk"),
    path("cards/about/", views.CardsAbout.as_view(), name="cards-about"),
    path("cards/history/", history_views.PastLibrary.as_view(), name="past-library"),
    path("cards/<uuid:card_id>/", views.CardDetail.as_view(), name="card"),
    path("cards/<uuid:card_id>/same-page/", views.SamePage.as_view(), name="same-page"),
    path("collections/", collection_views.Collections.as_view(), name="collections"),
    path("collections/history/", history_views.PastCollections.as_view(), name="past-collections"),
    path(
        "collections/<uuid:collection_id>/",
        collection_views.CollectionDetail.as_view(),
        name="collection",
    ),
    path(
        "collections/<uuid:collection_id>/cards/",
        collection_views.CollectionCards.as_view(),
        name="collection-cards",
    ),
    path(
        "collections/<uuid:collection_id>/cards/<uuid:card_id>/",
        collection_views.CollectionCardDetail.as_view(),
        name="collection-card",
    ),
]

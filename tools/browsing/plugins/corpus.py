"""Datasette beside a corpus: what a catalogue may do, and links from an image to everything known of it."""

import urllib.parse

import markupsafe
from datasette import hookimpl


@hookimpl(trylast=True)
def prepare_connection(conn):
    # A catalogue is data: views and triggers in it may call no function that has effects.
    conn.execute("PRAGMA trusted_schema = OFF")
    conn.execute("PRAGMA cell_size_check = ON")
    # Connections are shared by all pages, so none may choose what the others see.
    conn.create_function("logits_at", 1, refuse_choice)


def refuse_choice(reference):
    raise ValueError("name the snapshot in the query: SELECT … FROM logits WHERE snapshot = 'TAG'")


@hookimpl
def render_cell(value, column, database, datasette):
    if column == "image" and isinstance(value, str) and value and database == "catalog":
        place = datasette.urls.query("catalog", "one_image") + "?" + urllib.parse.urlencode({"image": value})
        return markupsafe.Markup(f'<a href="{markupsafe.escape(place)}">{markupsafe.escape(value)}</a>')
    if isinstance(value, float):
        return f"{value:.6g}"
    return None

"""``reports/index.html``: the page of ``report.md`` with figures to point at and tables to sort, all in one file."""

"""What an evaluation found, as a page for people: verdict, table, plots, worst frames."""

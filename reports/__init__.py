"""Tables, figures and HTML pages from the results of `bench run`."""

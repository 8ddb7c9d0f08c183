"""Tables, figures and pages, drawn from results."""

"""Label Studio: the page that experts see, its server, their projects, and what they said."""

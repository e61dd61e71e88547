"""What a release promises of its database, and what is found."""

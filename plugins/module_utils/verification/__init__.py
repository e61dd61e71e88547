"""The promises of a release about its database, and their verification."""

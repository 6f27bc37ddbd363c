"""The page: the whole companion as plain HTML that opens from a folder, made from committed files alone."""

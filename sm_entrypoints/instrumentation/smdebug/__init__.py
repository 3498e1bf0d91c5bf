"""smdebug's hook, as a request's debugger configuration asks for it, kept from doing harm."""

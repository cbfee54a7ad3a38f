"""The page that `walletsync ui` shows: forms and links, without a script, from a server on this computer alone."""

collect_ignore_glob = ["sick/*", "healthy/*"]  # scripts: to import one is to run it

"""What the papers do, one folder a method. Nothing here knows of claims, notebooks, profiles or caches."""

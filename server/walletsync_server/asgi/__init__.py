"""What listens: the front door, an ASGI application, and uvicorn under it with bounds of ours."""

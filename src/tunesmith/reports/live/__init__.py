"""The live page: runs and searches while they go on, in a browser (extra `ui`). Nothing of the extra is imported before it is served.

places.py     which runs and searches lie in a folder, and nothing outside it
runs.py       a run that is followed: where it stands, and what is new
studies.py    the same of a search
curves.py     curves as a chart wants them
hub.py        one look a second, for all who watch
door.py       who may come in
application.py, serving.py    the pages, and the server
static/       the client; uPlot, with its licence
"""

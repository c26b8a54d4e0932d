"""scripts/report: one self-contained HTML page about a database and a window of time.

source    asks the server, through psql
queries   what it is asked
figures   numbers and texts for readers: units, names of statements, escaping
ticks     where axes are labelled
clock     time in one zone: labels, ticks, changes of the clock
svg       elements of a drawing
charts    drawings: curves, areas, bars, small lines
sections  parts of the page, from the data
page      the page and its style
"""

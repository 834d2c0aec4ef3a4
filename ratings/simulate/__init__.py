"""A dry run: synthetic participants who go through the running server's pages as a browser would.

Nothing here imports the pages or writes to the database. The bots know what a participant sees, the study file, and, to
give one arm its known advantage, the plan that enrolment made for them.
"""

"""The least that Django can do to take two ratings: what our own rating page is measured against.

One view checks two ten-point radios, stores both ratings, marks the assignment, redirects and shows the next form. No
session, no CSRF token, no cookie, no text to read. The database is as safe as ours.
"""

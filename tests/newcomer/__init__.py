"""`make newcomer`: somebody who has never seen this runs a relay by the page, and two people talk through it."""

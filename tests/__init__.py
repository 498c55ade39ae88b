"""The tests mirror the packages; what runs on all of them stands beside this file."""

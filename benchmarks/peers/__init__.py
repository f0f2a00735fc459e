"""What campaignd is measured against, each in its best honest form.

A peer sends one ready-made message of the same size over and over, each time to another
recipient: it neither reads, composes nor records, which campaignd does.
"""

"""What features say about the pictures: wrong labels, look-alikes, hard classes, what more bring.

Nearly free once a frozen backbone has seen the pictures. Not for training: the heads that are
fitted here answer questions, and are thrown away. Everything is bounded in time and in size.
"""

"""Ways for messages to get from worker to worker, with one interface and the same tests.

A transport has `size` places; `start(make, about)` puts a worker, made by the function
`make(endpoint)`, into each and returns worker 0, which the caller runs; `stop()` ends the others. A
worker in another process is made there, from the text `about`. An endpoint is what a worker sees:

    rank, size              its number, and how many there are
    send(worker, message)   hands a message over; does not wait
    receive()               the next message; waits for it
    poll()                  the next message, or None if there is none

Messages from one worker to another arrive in order. Inboxes are bounded by the workers, which do
not send a batch before there is room for it.
"""

TRANSPORTS = ("threads", "mpi")         # of the command line

"""`bench serve`: a page on this machine that shows what models make of a picture and a prompt.

guard      who may ask: hosts, origins, a token, sizes of requests, and the headers of every answer
app        the addresses, and what each answers
pictures   pictures of the data set and of the user, by id, with a bounded memory
changes    the dials of difficulty and the shrinking, on a finished picture
tiles      a picture in squares of several scales
models     a thread for each model: loading, encoding, one prediction at a time
drawn      what is drawn on the page, as a prompt of the kind that a model takes
answers    a predicted mask as JSON
cache      values by key, within a limit of size
static     the page
"""

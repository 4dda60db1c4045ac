"""Publishing an output folder on the Hugging Face Hub: one commit, or none.

folder      which files of an output folder are published, under which names
names       what repositories and branches may be called
record      what this tool has put into a repository, as a file there
plan        what to send and what to delete, from what is there: pure
limits      what the Hub's limits forbid
private     paths of this machine in files that are published
calls       time-outs, retries and plain words for the Hub's answers
progress    bytes as they travel
remote      what is in a repository, and the calls that change it
contents    files on their way, ahead of the commit
publish     the loop: look, plan, send the contents, commit, look again
session     huggingface_hub as `publish` needs it: time-outs, quiet, a token
parts       more files than a commit takes: a pull request that is merged when it is whole
"""

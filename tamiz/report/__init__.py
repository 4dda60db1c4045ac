"""The page and the plots of a run, of scores or of a sample.

page       puts the page together              folders    finds the scores and the sample in a folder
summary    histograms by language and source   figures    which plots there are, with captions
plots      one population                      group_plots, groups    several, as plots and as a table
nearest    the documents nearest each decile   texts, documents       their texts read back, and shown
tokenizers the plot of `tamiz tokenizer eval`  style, html            how plots and pages look
"""

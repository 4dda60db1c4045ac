"""The page and the plots of a run, of scores or of a sample.

page         assembles the page
folders      finds the scores and the sample in a folder
summary      histograms by language and source
figures      the list of plots, with captions
plots        plots of one group of documents
group_plots  plots that compare groups
groups       the table that compares groups
nearest      finds the documents nearest each decile
texts        reads the texts of these documents
documents    shows the texts
tokenizers   the plot of `tamiz tokenizer eval`
html         building blocks of pages; the look of plots is in tamiz.drawing
"""

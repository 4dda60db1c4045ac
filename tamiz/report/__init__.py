"""The page and the plots of a run, of scores or of a sample.

page         assembles the page
folders      finds the scores and the sample in a folder
origin       how the run was made; runlog reads its log
planned      what `tamiz plan` said, beside what the stages took
stages       the manifests of the stages as tables; values writes their numbers with units
inputs       the documents, split and read as they were for the scores
rows         reads the scores, and which of them the sample kept
summary      histograms by language and source; grid counts perplexity and length together
curves       the keep-probability curves of a sample
figures      the list of plots, with captions
plots        plots of one group of documents
group_plots  plots that compare groups
groups       the table that compares groups
sources      the table by host, folder or column
nearest      finds the documents nearest each decile
texts        reads the texts of these documents
documents    shows the texts
tokenizers   the plot of `tamiz tokenizer eval`
html         building blocks of pages; the look of plots is in tamiz.drawing
"""

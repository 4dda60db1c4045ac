"""Text to tokenizer folders: unigram and bytes. Imports sentencepiece and tokenizers only where they are used."""

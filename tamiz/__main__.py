"""python -m tamiz"""

from tamiz.start import main

main()

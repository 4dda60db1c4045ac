"""`tamiz plan`: what a run will take, from a rehearsal of its stages on a part of its own documents.

look         reads a part of the inputs: lengths of documents, text in a stored byte, seconds to read it
rehearsal    runs the recipe's stages on parts of two sizes, in a process of its own, which is `__main__`
watch        what that process measures of a stage: seconds and processor time by phase, memory, disk
figures      the two measurements of each stage -> what the whole takes; how costs grow, the stages say (`Costs`)
planned      the plan as it is saved; lines: as people read it
actual       what the run took, from its log, beside the plan
"""

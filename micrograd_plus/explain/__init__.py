"""What explains a program to who wrote it: lines, findings, the tape of a backward walk, and what is built on them."""

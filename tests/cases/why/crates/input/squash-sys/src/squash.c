int squash(int things) { return things / 2; }

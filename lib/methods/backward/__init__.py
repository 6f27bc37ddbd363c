"""From a score back to the picture: gradient (Simonyan et al. 2014), deconvnet (Zeiler & Fergus 2014), guided
backpropagation (Springenberg et al. 2015); saliency; random weights (Adebayo et al. 2018)."""

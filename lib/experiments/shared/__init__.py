"""What two or more notebooks measure: answers, answers through autoencoders, class images, who recognises them."""

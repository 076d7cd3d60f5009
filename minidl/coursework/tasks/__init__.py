"""The tasks, one file each: above the cut the hand-out, below it the check, the hints and the picture.

Reading order:
    t01_softsign                an elementwise operation
    t02_gelu                    one whose derivative has a derivative
    t03_broadcast_product       what is repeated forward is summed back
    t04_matmul                  practice: the pull-backs of the matrix product
    t05_discounted_sum          a linear operation and its transpose
    t06_roll                    axes counted from the end
    t07_repeated_rows           rows that are read several times
    t08_diagonal_logsumexp      a reduction, stable for numbers of any size
    t09_cross_entropy           practice: a loss that never overflows
    t10_reverse_walk            practice: backpropagation
    t11_convolution             practice: the two pull-backs of the convolution
    t12_max_pooling             practice: pushing a tangent through a maximum
    t13_nesterov_and_adam       two optimisers
    t14_dropout                 masks that do not depend on the batch
    t15_adjoint_law             a law: push-forward and pull-back are transposes
    t16_differences_law         a law: derivatives and differences
    t17_definition_law          a law: a convolution and its definition
    t18_nesting_law             a law: derivatives of derivatives
    t19_initialiser_law         a law by chance: initial weights
    t20_dropout_law             a law by chance: dropout
    t21_attack_laws             laws of attacks
    t22_fgsm                    an attack: one step along the sign of the gradient
    t23_pgd_with_restarts       an attack: many steps, projected, from several random starts
    t24_jsma_pair               an attack: which two pixels to change
    t25_deepfool                an attack: steps to the nearest decision boundary
    t26_binary_search           an attack: the search for c, for each example by itself
    t27_genome                  an attack: evolved images of nothing
    t28_fewest_pixels           an attack: as few pixels as possible
    t29_adversarial_objective   a defence: what adversarial training minimises
    t30_false_defences          three false defences to expose
    t31_defend_under_apgd       a defence against the strongest attack
"""
